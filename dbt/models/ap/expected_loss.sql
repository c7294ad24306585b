with loans as (
    select
        m.snapshot_kind, m.snapshot_date, m.currency, m.product_code, m.ifrs9_stage, m.interest_rate,
        p.probability_of_default, p.loss_given_default, m.exposure_amount,
        -- A matured loan that is still owed is as if due next month.
        cast({{ larger('m.remaining_instalments', '1') }} as integer) as months_left
    from {{ ref('fact_loan_month') }} as m
    inner join {{ ref('dim_product') }} as p on p.product_key = m.product_key
    where m.status = 'open'
),

grouped as (
    select
        l.snapshot_kind, l.snapshot_date, l.currency, l.product_code, l.ifrs9_stage,
        l.interest_rate, l.probability_of_default, l.loss_given_default, l.months_left,
        count(*) as loans,
        sum(l.exposure_amount) as exposure
    from loans as l
    group by
        l.snapshot_kind, l.snapshot_date, l.currency, l.product_code, l.ifrs9_stage,
        l.interest_rate, l.probability_of_default, l.loss_given_default, l.months_left
)

select
    g.snapshot_kind as grain,
    g.snapshot_date as as_of_date,
    g.currency,
    g.product_code,
    g.ifrs9_stage,
    cast(sum(g.loans) as bigint) as loans,
    cast(sum(g.exposure * g.loss_given_default * f.factor) as numeric(28, 4)) as numerator,
    cast(sum(g.exposure) as numeric(28, 4)) as denominator,
    {{ ratio('sum(g.exposure * g.loss_given_default * f.factor)', 'sum(g.exposure)') }} as value
from grouped as g
inner join {{ ref('loss_factor') }} as f
    on f.ifrs9_stage = g.ifrs9_stage and f.interest_rate = g.interest_rate
    and f.probability_of_default = g.probability_of_default and f.months_left = g.months_left
group by g.snapshot_kind, g.snapshot_date, g.currency, g.product_code, g.ifrs9_stage
