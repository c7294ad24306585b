{{ config(
    incremental_strategy='renew',
    unique_key=['loan_hk', 'number'],
    meta={'affected_key': 'loan_hk'},
    pre_hook="{{ note_affected(affected_loans(payments=false)) }}",
    indexes=[{'columns': ['loan_hk', 'number'], 'unique': true}],
) }}

{{ with_affected('loan_hk') }}
sat_instalment as {{ rows_of(ref('sat_instalment')) }},
link_instalment as {{ rows_of(ref('link_instalment')) }},
loan_movement as {{ rows_of(ref('loan_movement')) }},

instalments as (
    select l.loan_hk, l.number, s.due_on, s.principal, s.interest
    from ({{ current_of('sat_instalment', 'instalment', only_affected('instalment', 'link_instalment', 'loan_hk')) }}) as s
    inner join link_instalment as l on l.link_hk = s.link_hk
),

first_disbursements as (
    select m.loan_hk, min(m.effective_on) as disbursed_on
    from loan_movement as m
    where m.effect = 'disbursement' and coalesce(m.is_dated, 1) = 1
    {%- if is_incremental() %} and m.loan_hk in (select a.loan_hk from affected as a){% endif %}
    group by m.loan_hk
),

summed as (
    select
        i.*,
        lag(i.due_on) over (partition by i.loan_hk order by i.number) as previous_due_on,
        sum(i.principal + i.interest) over (partition by i.loan_hk order by i.number rows unbounded preceding) as due_after
    from instalments as i
),

final as (
    select
        s.loan_hk,
        s.number,
        s.due_on,
        coalesce(s.previous_due_on, d.disbursed_on, case when s.due_on >= cast('0001-02-01' as date) then {{ add_months('s.due_on', -1) }} else s.due_on end) as period_from,
        s.principal,
        s.interest,
        cast(s.due_after - s.principal - s.interest as numeric(38, 4)) as due_before,
        cast(s.due_after as numeric(38, 4)) as due_after
    from summed as s
    left join first_disbursements as d on d.loan_hk = s.loan_hk
)

select * from final
