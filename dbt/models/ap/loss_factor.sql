with {{ number_spine(3) }},

terms as (
    select distinct
        m.ifrs9_stage,
        m.interest_rate,
        p.probability_of_default,
        cast({{ larger('m.remaining_instalments', '1') }} as integer) as months_left
    from {{ ref('fact_loan_month') }} as m
    inner join {{ ref('dim_product') }} as p on p.product_key = m.product_key
    where m.status = 'open'
),

-- What one unit of exposure loses per unit of loss given default. Default comes in month m with the probability of
-- surviving m - 1 months and not the m-th, (1 - PD)^((m-1)/12) - (1 - PD)^(m/12); by then the exposure has run off in
-- equal steps; the loss is discounted by the effective rate. In stage 3 the default has happened: the factor is 1.
steps as (
    select
        t.ifrs9_stage,
        t.interest_rate,
        t.probability_of_default,
        t.months_left,
        sum(
            (power(1 - cast(t.probability_of_default as float), (s.n - 1) / 12.0e0) - power(1 - cast(t.probability_of_default as float), s.n / 12.0e0))
            * (t.months_left - s.n + 1) / t.months_left
            / power(1 + cast(t.interest_rate as float), s.n / 12.0e0)
        ) as loss
    from terms as t
    inner join spine as s on s.n >= 1 and s.n <= t.months_left and (t.ifrs9_stage = 2 or s.n <= 12)
    group by t.ifrs9_stage, t.interest_rate, t.probability_of_default, t.months_left
)

select
    s.ifrs9_stage,
    s.interest_rate,
    s.probability_of_default,
    s.months_left,
    cast(case when s.ifrs9_stage = 3 then 1 else s.loss end as numeric(28, 10)) as factor
from steps as s
